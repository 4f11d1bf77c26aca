/** The few lines that stand between plain DOM and readable pages. */

type Child = Node | string | number | null | undefined | false;
type Props = Record<string, unknown>;

/**
 * Make an element. `class` and plain attributes are set as attributes, `on…` as listeners,
 * `style` through the CSSOM (an attribute would break the content security policy).
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2), value as EventListener);
    } else if (name === "style") {
      Object.assign(element.style, value);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  add(element, children);
  return element;
}

function add(parent: Element, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(typeof child === "number" ? String(child) : child);
  }
}

/** Set text only where it differs, so that a live region is not read out again. */
export function put(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** True while a person is writing: keys then belong to the field (an IME included). */
export function writing(event: KeyboardEvent): boolean {
  const target = event.target;
  return (
    event.isComposing ||
    (target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]"))
  );
}

/** A focused button has its own use for Space, Enter and Tab. */
export const onControl = (event: Event): boolean =>
  event.target instanceof Element && event.target.closest("button, a, select, summary") !== null;
