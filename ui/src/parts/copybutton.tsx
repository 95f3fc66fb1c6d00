/**
 * Copies text. `copyText` does it without a button.
 *
 * <CopyButton text={traceId} label="Copy trace id" />
 */
import { useState } from "preact/hooks";
import { Icon } from "./icon";
import { toast } from "./toast";

/** Copies to the clipboard, also where the page is not a secure context (plain http from another host). */
export async function copyText(text: string, said = "Copied"): Promise<boolean> {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else {
      const area = document.createElement("textarea");
      area.value = text;
      area.style.position = "fixed";
      area.style.opacity = "0";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      if (!done) throw new Error("refused");
    }
    if (said) toast(said);
    return true;
  } catch {
    toast("The browser did not allow copying.", { tone: "bad" });
    return false;
  }
}

export interface CopyButtonProps {
  text: string | (() => string);
  /** For screen readers and the title. Default "Copy". */
  label?: string;
  /** Printed beside the icon. */
  children?: string;
}

export function CopyButton({ text, label = "Copy", children }: CopyButtonProps) {
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      class={children ? "button" : "icon-button"}
      title={label}
      aria-label={children ? undefined : label}
      onClick={async (event) => {
        event.preventDefault();
        event.stopPropagation();
        if (await copyText(typeof text === "function" ? text() : text, "")) {
          setDone(true);
          setTimeout(() => setDone(false), 1500);
        }
      }}
    >
      <Icon name={done ? "check" : "copy"} size={14} />
      {children && <span>{done ? "Copied" : children}</span>}
      {done && <span class="sr">Copied</span>}
    </button>
  );
}
