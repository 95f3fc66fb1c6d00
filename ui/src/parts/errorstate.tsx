/**
 * What failed, what was asked, and a button to ask again. A broken filter shows where it is broken.
 *
 * {traces.error && !traces.data && <ErrorState error={traces.error} what="the traces" onRetry={traces.reload} />}
 */
import type { ApiError } from "../api";
import { filter } from "../state";
import { CopyButton } from "./copybutton";

export interface ErrorStateProps {
  error: ApiError;
  /** What could not be shown: "the traces". */
  what: string;
  onRetry?: () => void;
  small?: boolean;
}

const advice: Record<string, string> = {
  network: "Is `varan serve` running? The page asks again every few seconds.",
  timeout: "The question took too long. A shorter time range or a narrower filter helps.",
  too_many_rows: "The question reads too many rows. A shorter time range or a narrower filter helps.",
  overloaded: "The server is busy. The page asks again in a moment.",
};

export function ErrorState({ error, what, onRetry, small }: ErrorStateProps) {
  return (
    <div class={`empty error-state ${small ? "small-empty" : ""}`} role="alert">
      <h2>{error.isFilter ? "The filter cannot be read" : `Could not load ${what}`}</h2>
      <p class="empty-text">{error.message}</p>
      {error.isFilter && filter.value && <FilterExcerpt text={filter.value} error={error} />}
      {(error.hint || advice[error.code]) && (
        <p class="empty-text muted">{error.hint ?? advice[error.code]}</p>
      )}
      <div class="empty-actions">
        {onRetry && !error.isFilter && (
          <button type="button" class="button" onClick={onRetry}>
            Try again
          </button>
        )}
        {!error.isFilter && (
          <CopyButton
            text={() => `${error.url}\n${error.status} ${error.code}: ${error.message}`}
            label="Copy what was asked and answered"
          >
            Copy details
          </CopyButton>
        )}
      </div>
    </div>
  );
}

/** The filter's text with the faulty part underlined. */
export function FilterExcerpt({ text, error }: { text: string; error: ApiError }) {
  if (!error.column) return <pre class="filter-excerpt">{text}</pre>;
  const at = Math.min(error.column - 1, text.length);
  const length = Math.max(1, error.length ?? 1);
  return (
    <pre class="filter-excerpt">
      {text.slice(0, at)}
      <mark>{text.slice(at, at + length) || " "}</mark>
      {text.slice(at + length)}
    </pre>
  );
}
