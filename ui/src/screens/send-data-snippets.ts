/** The ways to send data, with the server's own addresses filled in. */
import { metricSnippets } from "./metrics/snippets";

export interface Step {
  title: string;
  text?: string;
  code: string;
}

export interface Snippet {
  id: string;
  title: string;
  text: string;
  steps: Step[];
}

/** Where the agent sends unless told otherwise. */
export const agentDefault = "http://127.0.0.1:4318";

/** An address as others reach it: with a scheme, and with this host's name where the server listens on all. */
export function reachable(address: string, host: string, fallback: string): string {
  if (!address) return fallback;
  const url = /^[a-z]+:\/\//.test(address) ? address : `http://${address}`;
  return url.replace(/\/\/(0\.0\.0\.0|\[::\]|\*)(?=:)/, `//${host}`);
}

/** Runs a Python program under the agent, sending to `http`. */
export const runCommand = (http: string, program = "python app.py"): string =>
  `${http === agentDefault ? "" : `VARAN_ENDPOINT=${http} `}varan run -- ${program}`;

/** `page` is the page's own address. `grpc` empty: the server does not take gRPC, and nothing is said of it. */
export function snippets(http: string, grpc: string, page: string): Snippet[] {
  const grpcTarget = grpc.replace(/^https?:\/\//, "");
  const to = http === agentDefault ? "" : `VARAN_ENDPOINT=${http} `;
  const list: (Omit<Snippet, "steps"> & { steps: (Step | "")[] })[] = [
    {
      id: "python",
      title: "Python",
      text: "The agent watches requests, database calls, outgoing HTTP and logging without a change of code.",
      steps: [
        {
          title: "Run the application under the agent",
          code: runCommand(http),
        },
        {
          title: "The same for a server of workers, with a name of its own",
          code: `${to}varan run --service shop -- gunicorn --workers 4 shop.wsgi`,
        },
        {
          title: "Or from the code, first thing",
          code: `import varan\n\nvaran.start(service="shop"${to && `, endpoint="${http}"`})`,
        },
      ],
    },
    {
      id: "otel",
      title: "OpenTelemetry SDK",
      text: "Any language. Only the environment changes.",
      steps: [
        {
          title: "Over HTTP",
          code: [
            "export OTEL_SERVICE_NAME=shop",
            `export OTEL_EXPORTER_OTLP_ENDPOINT=${http}`,
            "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "export OTEL_LOGS_EXPORTER=otlp",
          ].join("\n"),
        },
        grpc && {
          title: "Over gRPC",
          code: [
            "export OTEL_SERVICE_NAME=shop",
            `export OTEL_EXPORTER_OTLP_ENDPOINT=${grpc}`,
            "export OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
            "export OTEL_EXPORTER_OTLP_INSECURE=true",
            "export OTEL_LOGS_EXPORTER=otlp",
          ].join("\n"),
        },
        {
          title: "Python, without a change of code",
          code: "pip install opentelemetry-distro opentelemetry-exporter-otlp\nopentelemetry-bootstrap -a install\nopentelemetry-instrument python app.py",
        },
      ],
    },
    {
      id: "logging",
      title: "Python logging",
      text: "Under the agent, records of the standard logging module arrive with the trace they belong to. Without it, the OpenTelemetry handler sends them.",
      steps: [
        { title: "Install", code: "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http" },
        {
          title: "Add the handler",
          code: `import logging
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

provider = LoggerProvider(Resource.create({"service.name": "shop"}))
provider.add_log_record_processor(
    BatchLogRecordProcessor(OTLPLogExporter(endpoint="${http}/v1/logs"))
)
logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
logging.getLogger().setLevel(logging.INFO)

logging.warning("hello from %s", "shop")`,
        },
      ],
    },
    {
      id: "collector",
      title: "Collector",
      text: "A collector that is already there sends a copy to Varan.",
      steps: [
        {
          title: "Add to the collector's configuration",
          code: `exporters:
  otlphttp/varan:
    endpoint: ${http}
    compression: gzip

service:
  pipelines:
    traces:
      exporters: [otlphttp/varan]
    logs:
      exporters: [otlphttp/varan]
    metrics:
      exporters: [otlphttp/varan]`,
        },
        grpc && {
          title: "Or over gRPC",
          code: `exporters:
  otlp/varan:
    endpoint: ${grpcTarget}
    tls:
      insecure: true`,
        },
      ],
    },
    {
      id: "profiles",
      title: "Profiles",
      text: "The agent profiles every process it runs in. Profiles of other tools are taken as they are.",
      steps: [
        {
          title: "Under the agent: CPU, wall time and waiting for the GIL",
          text: "VARAN_PROFILER=cpu leaves out wall time, VARAN_PROFILER=off all of it.",
          code: runCommand(http),
        },
        {
          title: "Any profile in pprof’s format",
          code: `curl --data-binary @profile.pb.gz '${page}/api/v1/profiles?service=shop'`,
        },
        {
          title: "Pyroscope’s SDK",
          code: `import pyroscope\n\npyroscope.configure(application_name="shop", server_address="${page}")`,
        },
      ],
    },
    {
      id: "prometheus",
      title: "Prometheus",
      text: "Varan takes metrics as Prometheus does: it scrapes by the same configuration, or a Prometheus sends on what it scrapes.",
      steps: metricSnippets(page, http)
        .filter((way) => way.id === "scrape" || way.id === "remote-write")
        .flatMap((way) =>
          way.code.map((code, i) => ({
            title: i ? `${way.title}: start` : way.title,
            text: i ? "" : way.text,
            code,
          })),
        ),
    },
    {
      id: "curl",
      title: "curl",
      text: "One span by hand, to see that the way is open.",
      steps: [
        {
          title: "Send a span",
          code: `curl ${http}/v1/traces -H 'content-type: application/json' -d '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hello"}}]},"scopeSpans":[{"spans":[{"traceId":"'$(openssl rand -hex 16)'","spanId":"'$(openssl rand -hex 8)'","name":"GET /hello","kind":2,"startTimeUnixNano":"'$(date +%s)000000000'","endTimeUnixNano":"'$(date +%s)200000000'"}]}]}]}'`,
        },
      ],
    },
  ];
  return list.map((s) => ({ ...s, steps: s.steps.filter((step) => step !== "") }));
}
