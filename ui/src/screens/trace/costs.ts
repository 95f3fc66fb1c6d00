/** What the spans of a trace cost by their samples, each with what is below it. */
import type { SpanNode } from "../../parts/waterfall.model";
import type { TraceCosts } from "../profiles/data";

export interface SpanCost {
  /** By type; own samples, and with those of the spans below. */
  own: Record<string, number>;
  whole: Record<string, number>;
}

const adds = (to: Record<string, number>, values: Record<string, number> | undefined) => {
  for (const [type, v] of Object.entries(values ?? {})) to[type] = (to[type] ?? 0) + v;
};

/** Of one span. Without recursion: a chain of spans may be thousands deep. */
export function costOf(node: SpanNode, costs: TraceCosts): SpanCost {
  const values = new Map(costs.spans.map((s) => [s.span_id, s.values]));
  const own: Record<string, number> = {};
  const whole: Record<string, number> = {};
  adds(own, values.get(node.span.span_id));
  const open = [node];
  while (open.length) {
    const at = open.pop()!;
    adds(whole, values.get(at.span.span_id));
    open.push(...at.children);
  }
  return { own, whole };
}
