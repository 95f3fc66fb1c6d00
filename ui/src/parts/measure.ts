/** Widths of texts, without a layout. */
const pen = typeof document === "undefined" ? null : document.createElement("canvas").getContext("2d");

/** Width in px. `font` as CSS has it: `500 12px system-ui`. */
export function textWidth(text: string, font: string): number {
  if (!pen) return text.length * 7;
  if (pen.font !== font) pen.font = font;
  return pen.measureText(text).width;
}
