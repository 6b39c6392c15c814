/**
 * The start images: one group of radio buttons that show pictures.
 *
 * Python sets `images`, each {key, name, src}, and the value, the key of one or null. It hears "chosen", and gets the
 * value with every event that asks for it: so Start knows a choice that is still on its way. `heard` is the key that it
 * has heard of last: until then the answers to events before it do not undo a choice.
 */

const PATIENCE_MS = 10_000; // for being heard; an event may be lost

let count = 0;

/** Called by Gradio. */
export function mount(element, { trigger, props, watch }) {
  const group = element.querySelector(".start-images");
  const name = `start-image-${++count}`; // radio buttons of one name are one group
  let drawn = "";
  let choice = { key: "", until: 0 };
  const update = () => {
    if (props.heard === choice.key) choice.until = 0;
    const images = props.images ?? [];
    if (JSON.stringify(images) !== drawn) {
      drawn = JSON.stringify(images);
      group.replaceChildren(...images.map((image) => option(image, name)));
    }
    const mine = performance.now() < choice.until && images.some(({ key }) => key === choice.key);
    if (mine && props.value !== choice.key) props.value = choice.key;
    [...group.querySelectorAll("input")].forEach((input) => (input.checked = input.value === props.value));
  };
  group.addEventListener("change", ({ target }) => {
    choice = { key: target.value, until: performance.now() + PATIENCE_MS };
    props.value = target.value;
    trigger("chosen");
  });
  watch(["images", "value", "heard"], update);
  update();
}

function option({ key, name, src }, group) {
  const label = Object.assign(document.createElement("label"), { className: "start-image", title: name });
  const input = Object.assign(document.createElement("input"), { type: "radio", name: group, value: key });
  label.append(input, Object.assign(document.createElement("img"), { src, alt: name, draggable: false }));
  return label;
}
