/**
 * A service's name with its colour and shape, the same everywhere. Ten colours and five shapes from a hash of
 * the name, so that a service keeps both across screens, ranges and servers.
 *
 * <ServiceName name="shop-gateway" href={…} max={24} />
 */

import { middle } from "../format";
import { colors } from "../theme/theme";
import { Name } from "./name";

export interface ServiceMark {
  /** Index into the series colours: `var(--series-N)`, `colors.value.series[N]`. */
  color: number;
  shape: "circle" | "square" | "diamond" | "triangle" | "hexagon";
}

const shapes: ServiceMark["shape"][] = ["circle", "square", "diamond", "triangle", "hexagon"];
const marks = new Map<string, ServiceMark>();

/** Colour and shape of a service. */
export function serviceMark(name: string): ServiceMark {
  let mark = marks.get(name);
  if (!mark) {
    // FNV-1a; the final mix spreads names that differ only in their last letter.
    // The start was chosen so that names common for services (gateway, orders, search, …) stay apart.
    let h = 74514;
    for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
    h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
    h = (h ^ (h >>> 13)) >>> 0;
    mark = { color: h % 10, shape: shapes[Math.floor(h / 10) % shapes.length]! };
    if (marks.size > 5000) marks.clear();
    marks.set(name, mark);
  }
  return mark;
}

/** The colour of a service as a CSS value, for styles. */
export const serviceColor = (name: string): string => `var(--series-${serviceMark(name).color})`;

/** The colour of a service as hex, for canvases. */
export const serviceHex = (name: string): string => colors.value.series[serviceMark(name).color]!;

/** Path of a shape centred on 0,0 with radius about r. */
export function shapePath(shape: ServiceMark["shape"], r: number): string {
  switch (shape) {
    case "square":
      return `M${-r * 0.88} ${-r * 0.88}h${r * 1.76}v${r * 1.76}h${-r * 1.76}Z`;
    case "diamond":
      return `M0 ${-r * 1.2} ${r * 1.2} 0 0 ${r * 1.2} ${-r * 1.2} 0Z`;
    case "triangle":
      return `M0 ${-r * 1.1} ${r * 1.1} ${r * 0.9}H${-r * 1.1}Z`;
    case "hexagon":
      return `M${-r * 1.08} 0 ${-r * 0.54} ${-r * 0.94}H${r * 0.54}L${r * 1.08} 0 ${r * 0.54} ${r * 0.94}H${-r * 0.54}Z`;
    default:
      return `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  }
}

export interface ServiceNameProps {
  name: string;
  href?: string;
  /** At most this many characters, keeping head and tail; less where there is no room. Default 40. */
  max?: number;
  /** Only the mark; the name becomes its label. */
  markOnly?: boolean;
}

export function ServiceName({ name, href, max = 40, markOnly }: ServiceNameProps) {
  const mark = serviceMark(name);
  const icon = (
    <svg
      width="10"
      height="10"
      viewBox="-5 -5 10 10"
      class="service-mark"
      role={markOnly ? "img" : undefined}
      aria-label={markOnly ? name : undefined}
      aria-hidden={markOnly ? undefined : "true"}
    >
      {markOnly && <title>{name}</title>}
      <path d={shapePath(mark.shape, 4)} fill={`var(--series-${mark.color})`} />
    </svg>
  );
  if (markOnly) return icon;
  const text = <Name text={middle(name, max)} />;
  return href ? (
    <a class="service-name" href={href} title={name}>
      {icon}
      {text}
    </a>
  ) : (
    <span class="service-name" title={name}>
      {icon}
      {text}
    </span>
  );
}
