import { Empty } from "../parts/empty";
import { href, path } from "../router";

/** An address no screen answers to. */
export default function NotYet() {
  return (
    <Empty
      title="There is no such page"
      actions={
        <a class="button" href={href("/services")}>
          To the services
        </a>
      }
    >
      <code>{path.value}</code> leads nowhere in this version of Varan.
    </Empty>
  );
}
