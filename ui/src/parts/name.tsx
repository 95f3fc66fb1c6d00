/**
 * A name that may be longer than its place: head and tail stay, the middle gives way (`app.views…place_order`).
 * The whole of it is on hover, read aloud, and what gets copied: it stays in the document, unseen, and gives the
 * part its width; the shortened text lies over it.
 *
 * <Name text={operation.name} />
 */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { middle } from "../format";
import { textWidth } from "./measure";

export interface NameProps {
  text: string;
  /** On hover; default the text. */
  title?: string;
}

type Resized = (element: HTMLElement) => void;
const watched = new WeakMap<Element, Resized>();
const observer =
  typeof ResizeObserver === "undefined"
    ? null
    : new ResizeObserver((entries) => {
        for (const { target } of entries) watched.get(target)?.(target as HTMLElement);
      });

/** A name stands on one line, whatever it holds: a value may be a traceback. */
export const oneLine = (text: string): string => text.replace(/\s*[\n\r\u2028\u2029]\s*/g, " ").trim();

/** The longest shortening that fits, or the text itself. */
export function shorten(text: string, width: number, measure: (text: string) => number): string {
  if (measure(text) <= width) return text;
  let [low, high] = [3, text.length - 1];
  while (low < high) {
    const half = (low + high + 1) >> 1;
    if (measure(middle(text, half)) <= width) low = half;
    else high = half - 1;
  }
  return middle(text, low);
}

export function Name({ text: whole, title = whole }: NameProps) {
  const text = oneLine(whole);
  const element = useRef<HTMLSpanElement>(null);
  const [short, setShort] = useState<string | null>(null);
  useLayoutEffect(() => {
    const span = element.current;
    if (!span || !observer) return;
    watched.set(span, () => {
      if (span.scrollWidth <= span.clientWidth) {
        setShort(null);
        return;
      }
      const { fontWeight, fontSize, fontFamily } = getComputedStyle(span);
      const font = `${fontWeight} ${fontSize} ${fontFamily}`;
      setShort(shorten(text, span.clientWidth, (t) => textWidth(t, font)));
    });
    observer.observe(span);
    return () => observer.unobserve(span);
  }, [text]);
  return (
    <span class={`name ${short === null ? "" : "cut"}`} ref={element} title={title}>
      <span>{text}</span>
      {short !== null && (
        <span class="name-short" aria-hidden="true">
          {short}
        </span>
      )}
    </span>
  );
}
