/**
 * The start images: one group of radio buttons that show pictures.
 *
 * Python sets `images`, each {name, src}, and `selected`, the number of one or null; it hears "chosen" with {index}.
 */

let count = 0;

/** Called by Gradio. */
export function mount(element, { trigger, props, watch }) {
  const group = element.querySelector(".start-images");
  const name = `start-image-${++count}`; // radio buttons of one name are one group
  let drawn = "";
  const update = () => {
    const images = props.images ?? [];
    if (JSON.stringify(images) !== drawn) {
      drawn = JSON.stringify(images);
      group.replaceChildren(...images.map((image, index) => option(image, index, name)));
    }
    [...group.querySelectorAll("input")].forEach((input, i) => (input.checked = i === props.selected));
  };
  group.addEventListener("change", ({ target }) => trigger("chosen", { index: Number(target.value) }));
  watch(["images", "selected"], update);
  update();
}

function option({ name, src }, index, group) {
  const label = Object.assign(document.createElement("label"), { className: "start-image", title: name });
  const input = Object.assign(document.createElement("input"), { type: "radio", name: group, value: index });
  label.append(input, Object.assign(document.createElement("img"), { src, alt: name, draggable: false }));
  return label;
}
