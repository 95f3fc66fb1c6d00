/** Line icons, 16 px, drawn for this page. Decorative: the name beside them or an aria-label says what they mean. */
const paths = {
  services:
    "M8 2.5v3M8 5.5 4 9M8 5.5 12 9M2 11.5a2 2 0 1 0 4 0 2 2 0 1 0-4 0M10 11.5a2 2 0 1 0 4 0 2 2 0 1 0-4 0",
  traces: "M2 3.5h8M4 8h7M7 12.5h7",
  logs: "M2.5 3h11M2.5 6.3h8M2.5 9.7h11M2.5 13h6",
  errors: "M8 2 14.5 13.5h-13ZM8 6.5v3.2M8 11.6v.2",
  profiles: "M2 13V9h12v4M4 9V6h8v3M6 6V3h4v3",
  metrics: "M2 13.5h12M3 10.5l3.5-4 3 2.5L13.5 4",
  dashboards: "M2.5 2.5h4.6v6.2H2.5zM9 2.5h4.5v3.8H9zM9 8.6h4.5v4.9H9zM2.5 11h4.6v2.5H2.5z",
  alerts: "M4 11V7.2a4 4 0 0 1 8 0V11l1.2 1.2H2.8zM6.7 14h2.6",
  findings: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.7 10.7 14 14M5 7l1.5 1.5L9.2 5.6",
  send: "M8 10.5v-8M4.8 5.5 8 2.3l3.2 3.2M2.5 10v3.5h11V10",
  settings:
    "M2 4.5h7M12 4.5h2M2 11.5h2M7 11.5h7M9 4.5a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0M4 11.5a1.5 1.5 0 1 0 3 0 1.5 1.5 0 1 0-3 0",
  plus: "M8 3v10M3 8h10",
  eye: "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8ZM8 9.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6Z",
  eyeOff:
    "M3 3l10 10M6 4.2A6 6 0 0 1 8 3.8c4 0 6.5 4.2 6.5 4.2a12 12 0 0 1-1.9 2.3M4 5.2A12 12 0 0 0 1.5 8S4 12.2 8 12.2c1 0 1.9-.3 2.7-.7",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.7 10.7 14 14",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.2 1.6",
  copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
  check: "m3 8.5 3.2 3.2L13 4.8",
  close: "m4 4 8 8M12 4l-8 8",
  left: "M10 3.5 5.5 8l4.5 4.5",
  right: "M6 3.5 10.5 8 6 12.5",
  down: "M3.5 6 8 10.5 12.5 6",
  up: "M3.5 10 8 5.5l4.5 4.5",
  link: "M6.8 9.2 9.2 6.8M7.5 4.5 9 3a2.8 2.8 0 0 1 4 4l-1.5 1.5M8.5 11.5 7 13a2.8 2.8 0 0 1-4-4l1.5-1.5",
  share: "M11 5.5h2.5v8h-11v-8H5M8 10V2.3M5.4 4.7 8 2.1l2.6 2.6",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  rail: "M2.5 3h11v10h-11zM6 3v10",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  refresh: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5V5h-2.5",
  play: "M5 3.2 12.5 8 5 12.8z",
  pause: "M5.5 3v10M10.5 3v10",
  external: "M9.5 2.5h4v4M13.5 2.5 7.5 8.5M11.5 9.5v4h-9v-9h4",
  database:
    "M3 4c0-1 2.2-1.8 5-1.8S13 3 13 4v8c0 1-2.2 1.8-5 1.8S3 13 3 12zM3 4c0 1 2.2 1.8 5 1.8S13 5 13 4M3 8c0 1 2.2 1.8 5 1.8S13 9 13 8",
  filter: "M2 3.5h12L9.5 8.7v4.3l-3-1.5V8.7z",
  download: "M8 2.5v8M4.8 7.5 8 10.7l3.2-3.2M2.5 13.5h11",
  arrowRight: "M2.5 8h11M9.5 4l4 4-4 4",
  globe: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM2 8h12M8 2c4 4 4 8 0 12M8 2c-4 4-4 8 0 12",
  queue: "M2.5 4.5h3v7h-3zM6.8 4.5h3v7h-3zM11 4.5h2.5v7H11z",
} as const;

export type IconName = keyof typeof paths;

export interface IconProps {
  name: IconName;
  size?: number;
}

export function Icon({ name, size = 16 }: IconProps) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  );
}
