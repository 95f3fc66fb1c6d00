/**
 * A name that may be longer than its place: head and tail stay, the middle gives way (`app.views…place_order`).
 * The whole of it is on hover, and is what gets copied.
 *
 * <Name text={operation.name} />
 */
export interface NameProps {
  text: string;
  /** Characters of the end that always stay. Default 12. */
  tail?: number;
}

export function Name({ text, tail = 12 }: NameProps) {
  // Cut between characters, not within a surrogate pair.
  const letters = text.length > tail + 8 ? [...text] : null;
  if (!letters) {
    return (
      <span class="ellipsis" title={text}>
        {text}
      </span>
    );
  }
  return (
    <span class="name" title={text}>
      <span>{letters.slice(0, -tail).join("")}</span>
      <span>{letters.slice(-tail).join("")}</span>
    </span>
  );
}
