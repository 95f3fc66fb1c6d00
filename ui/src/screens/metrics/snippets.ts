/** The exact lines that send metrics here, with this server's addresses. */
export interface MetricSnippet {
  id: string;
  title: string;
  text: string;
  code: string[];
}

export function metricSnippets(page: string, otlp: string): MetricSnippet[] {
  return [
    {
      id: "scrape",
      title: "Scrape",
      text: "Varan reads Prometheus' own scrape configuration. Write it, then start the server with it:",
      code: [
        `# prometheus.yml
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ["127.0.0.1:9100"]`,
        "varan serve --prometheus-config prometheus.yml",
      ],
    },
    {
      id: "remote-write",
      title: "Remote write",
      text: "A Prometheus that runs already sends a copy of everything it scrapes:",
      code: [
        `# prometheus.yml
remote_write:
  - url: ${page}/prometheus/api/v1/write
    send_exemplars: true
    send_native_histograms: true`,
      ],
    },
    {
      id: "otlp",
      title: "OpenTelemetry",
      text: "Any OpenTelemetry SDK or collector:",
      code: [`export OTEL_EXPORTER_OTLP_ENDPOINT=${otlp}\nexport OTEL_METRICS_EXPORTER=otlp`],
    },
    {
      id: "agent",
      title: "The agent",
      text: "Runs a Python application and measures it, without a change to its code:",
      code: ["varan run -- python app.py"],
    },
  ];
}
