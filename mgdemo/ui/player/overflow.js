/** Says on a row that scrolls whether there is more of it to the left or right, for its style to show. */

/** @param {HTMLElement} row it gets `data-more`: "start", "end" or both */
export function showMore(row) {
  const look = () => {
    const { scrollLeft, scrollWidth, clientWidth } = row;
    const more = [scrollLeft > 1 && "start", scrollLeft + clientWidth < scrollWidth - 1 && "end"];
    row.dataset.more = more.filter(Boolean).join(" ");
  };
  row.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(row);
  new MutationObserver(look).observe(row, { childList: true, characterData: true, subtree: true });
  look();
}
