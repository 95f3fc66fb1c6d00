/**
 * A strip at the foot of the page for what a person must know of the server itself: that it does not answer, or
 * what it says of its disk. At the foot, so that nothing above it moves.
 */
import { useEffect } from "preact/hooks";
import { unreachable, useApi } from "../api";
import type { Status } from "../api-types";
import { href } from "../router";

const everyMs = 30_000;

export function Notice() {
  const status = useApi<Status>("/status", {}, { live: false });
  const { reload } = status;
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [reload]);
  const notice = status.data?.notice;
  if (unreachable.value) {
    return (
      <div class="notice-strip" role="alert">
        <b class="warn">The server does not answer.</b> What you see is what it said last; the page keeps
        asking.
      </div>
    );
  }
  if (!notice) return null;
  return (
    <div class="notice-strip" role="status">
      <b class="warn">{notice}</b>
      <a class="link" href={href("/settings")}>
        State of the server
      </a>
    </div>
  );
}
