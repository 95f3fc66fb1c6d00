/** The shapes of the server's answers, after docs/internals/api.md. Points in time are decimal nanoseconds as text. */

/** A value over the range, over the equally long range before it, and per step. */
export interface Figure {
  value: number | null;
  previous: number | null;
  points: (number | null)[];
}

export interface Steps {
  from_ns: string;
  to_ns: string;
  step_ns: number;
  /** Unix seconds, the start of each step. */
  times: number[];
}

export interface ServiceRow {
  name: string;
  namespace: string;
  version: string;
  language: string;
  instances: number;
  rate: Figure;
  errors: Figure;
  p50: Figure;
  p95: Figure;
  p99: Figure;
  saturation: Figure | null;
  requests: number;
  last_seen_ns: string;
  slowest: { operation: string; p95: number; share: number } | null;
}

export interface Edge {
  client: string;
  server: string;
  /** service, database, messaging, http, … */
  server_type: string;
  system: string;
  rate: number;
  errors: number;
  p95: number | null;
  calls: number;
}

export interface ServiceList extends Steps {
  services: ServiceRow[];
  edges: Edge[];
}

export interface Operation {
  name: string;
  kind: number;
  rate: Figure;
  errors: Figure;
  p50: Figure;
  p95: Figure;
  p99: Figure;
  time_ns: number;
  share: number;
  requests: number;
  breakdown: { own: number; database: number; network: number; messaging: number } | null;
}

export interface Dependency {
  name: string;
  type: string;
  system: string;
  direction: "in" | "out";
  rate: number;
  errors: number;
  p95: number | null;
  calls: number;
}

export interface Statement {
  statement: string;
  system: string;
  calls: number;
  time_ns: number;
  p95: number | null;
  share: number;
  calls_per_request: number | null;
}

export interface ErrorType {
  type: string;
  count: number;
  last_ns: string;
  trace_id: string;
}

export type Levels = Record<string, (number | null)[]>;

export interface ServiceDetail extends Steps {
  service: {
    name: string;
    namespace: string;
    version: string;
    language: string;
    instances: number;
    first_seen_ns: string;
    last_seen_ns: string;
    attributes: Record<string, unknown>;
  };
  rate: Figure;
  errors: Figure;
  p50: Figure;
  p95: Figure;
  p99: Figure;
  operations: Operation[];
  dependencies: Dependency[];
  statements: Statement[];
  versions: { version: string; first_seen_ns: string }[];
  errors_by_type: ErrorType[];
  slowest_traces: TraceSummary[];
  logs_by_level: { times: number[]; levels: Levels };
  answer: string;
}

export interface TraceSummary {
  trace_id: string;
  start_ns: string;
  duration_ns: number;
  spans: number;
  errors: number;
  matched: number;
  services: string[];
  root: { service: string; name: string; kind: number; status: number; http_status: number | null } | null;
}

export interface TraceList {
  traces: TraceSummary[];
  next_cursor: string | null;
  truncated: boolean;
}

export interface DurationHistogram extends Steps {
  /** Ascending, one more than there are counts per time. */
  bounds_ns: number[];
  counts: number[][];
  errors: number[];
  total: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface Facet {
  key: string;
  values: { value: string; count: number }[];
  distinct: number;
  truncated: boolean;
}

export interface FacetList {
  facets: Facet[];
  sampled: number;
}

export interface Comparison {
  facets: { key: string; values: { value: string; inside: number; outside: number }[]; score: number }[];
}

export type AttributeType = "string" | "bool" | "int" | "double" | "bytes" | "array" | "map" | "empty";

export interface Attribute {
  key: string;
  type: AttributeType;
  value: unknown;
}

export interface SpanEvent {
  /** Offset from the trace's start. */
  time_ns: number;
  name: string;
  attributes: Attribute[];
}

export interface Span {
  span_id: string;
  parent_span_id: string | null;
  service: string;
  name: string;
  kind: number;
  /** Offset from the trace's start. */
  start_ns: number;
  duration_ns: number;
  self_ns: number;
  status: number;
  status_message: string;
  resource: string;
  scope: string;
  db_system: string;
  db_statement: string;
  attributes: Attribute[];
  events: SpanEvent[];
  links: { trace_id: string; span_id: string; attributes: Attribute[] }[];
  logs: number;
}

export interface Trace {
  trace_id: string;
  start_ns: string;
  duration_ns: number;
  truncated: boolean;
  skewed: boolean;
  services: string[];
  time_by: {
    category: "database" | "network" | "messaging" | "own";
    service: string;
    ns: number;
    share: number;
  }[];
  critical_path: { span_id: string; from_ns: number; to_ns: number }[];
  resources: Record<string, Record<string, unknown>>;
  spans: Span[];
  logs: number;
  findings: { kind: string; text: string; span_ids: string[]; ns: number }[];
}

export type Severity = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "";

export interface LogRecord {
  id: string;
  time_ns: string;
  observed_ns: string;
  severity: Severity;
  severity_number: number;
  severity_text: string;
  service: string;
  body: unknown;
  trace_id: string | null;
  span_id: string | null;
  scope: string;
  event_name: string;
  resource: string;
  attributes: Attribute[];
}

export interface LogList {
  logs: LogRecord[];
  next_cursor: string | null;
  truncated: boolean;
}

export interface LogHistogram {
  times: number[];
  step_ns: number;
  levels: Levels;
  total: number;
}

export interface LogContext {
  logs: LogRecord[];
  index: number;
}

export interface AttributeKeys {
  keys: { key: string; type: string; count: number; field: boolean; help?: string; example?: string }[];
}

export interface AttributeValues {
  values: { value: string; count: number }[];
  truncated: boolean;
}

export interface Status {
  version: string;
  uptime_s: number;
  engine: { transport: string; version: string };
  received: { spans: number; logs: number; samples: number };
  refused: number;
  rejected: number;
  queue_bytes: number;
  disk: { used_bytes: number; free_bytes: number };
  retention_days: number;
  notice: string;
  endpoints: { page: string; otlp_http: string; otlp_grpc: string };
  has_data: { spans: boolean; logs: boolean; samples: boolean };
}
