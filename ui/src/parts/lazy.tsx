/**
 * A part that is loaded when it is first shown, so that screens stay small.
 *
 * const Types = lazy(() => import("./profiles/types").then((m) => m.Types));
 */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (loaded) return;
      let alive = true;
      load().then(
        (part) => {
          loaded = part;
          if (alive) redraw(1);
        },
        () => alive && setFailed(true),
      );
      return () => {
        alive = false;
      };
    }, []);
    if (loaded) {
      const Part = loaded;
      return <Part {...props} />;
    }
    return failed ? (
      <p class="muted" role="alert">
        This part could not be loaded; the server was perhaps updated. Reloading the page helps.
      </p>
    ) : null;
  };
}
