/** No data of a kind has arrived at all: the command that sends some, and the way to the others. */
import type { ComponentChildren } from "preact";
import { useApi } from "../api";
import type { Status } from "../api-types";
import { Empty } from "../parts/empty";
import { href } from "../router";
import { agentDefault, reachable, runCommand } from "./send-data-snippets";

interface NothingSentProps {
  title: string;
  /** Of the page that lists them. */
  way?: string;
  /** Other ways out, before the list of ways. */
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function NothingSent({ title, way, actions, children }: NothingSentProps) {
  const status = useApi<Status>("/status", {}, { live: false });
  const endpoint = status.data?.endpoints.otlp_http ?? "";
  return (
    <Empty
      title={title}
      command={runCommand(reachable(endpoint, window.location.hostname, agentDefault))}
      waiting
      actions={
        <>
          {actions}
          <a class="button" href={href("/send-data", way ? { way } : {})}>
            Other ways to send data
          </a>
        </>
      }
    >
      {children}
    </Empty>
  );
}
