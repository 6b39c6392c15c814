/** Gradio gives every radio button a name of its own, so that each is a group by itself: this makes them one. */

/** @param {string} selector of the elements that hold a group each, now and later */
export function uniteRadios(selector) {
  const unite = () =>
    document.querySelectorAll(selector).forEach((group, i) => {
      group.setAttribute("role", "radiogroup");
      const title = group.querySelector('[data-testid="block-info"]');
      if (title) group.setAttribute("aria-label", title.textContent);
      /** @type {NodeListOf<HTMLInputElement>} */
      const radios = group.querySelectorAll('input[type="radio"]');
      for (const radio of radios) radio.name = `group-${i} ${selector}`;
    });
  new MutationObserver(unite).observe(document.body, { childList: true, subtree: true });
  unite();
}
