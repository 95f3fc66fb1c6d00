/** The same stacks by CPU, by wall time and by waiting for the interpreter's lock, beside each other. */
import { useMemo, useState } from "preact/hooks";
import type { QueryParams } from "../../api";
import { ratio } from "../../format";
import { ErrorState } from "../../parts/errorstate";
import { Flame } from "../../parts/flame";
import type { FlameTree } from "../../parts/flame.model";
import { search } from "../../parts/flame.table";
import { Skeleton } from "../../parts/skeleton";
import { param } from "../../router";
import { type TypeSum, usePicture } from "./data";
import { typeWords } from "./selection";

export interface TypesProps {
  /** The selection without its type. */
  params: QueryParams;
  types: readonly TypeSum[];
  /** Where a type's name leads. */
  hrefOf: (type: string) => string;
  /** Shows a function of a type: its lines, or both of its sides. */
  onFunction: (tree: FlameTree, fn: number, type: string, both: boolean) => void;
  own: boolean;
  lines: boolean;
  /** Most px of each graph; without it they are as high as their calls. */
  maxHeight?: number;
  live?: boolean;
}

interface Pointed {
  name: string;
  file: string;
}

/** At most so many beside each other; time first. */
const SHOWN = 3;

export function Types({ types, ...props }: TypesProps) {
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const [held, setHeld] = useState(false);
  return (
    <div
      class="types"
      style={{ "--types": String(Math.min(SHOWN, types.length)) }}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
    >
      {types.slice(0, SHOWN).map((t) => (
        <OneType key={t.type} type={t} pointed={pointed} onPoint={setPointed} held={held} {...props} />
      ))}
    </div>
  );
}

interface OneTypeProps extends Omit<TypesProps, "types"> {
  type: TypeSum;
  pointed: Pointed | null;
  onPoint: (p: Pointed | null) => void;
  held: boolean;
}

function OneType({ type, params, pointed, onPoint, held, live, maxHeight, ...props }: OneTypeProps) {
  const words = typeWords(type.type, type.unit);
  const { own, lines } = props;
  const picture = usePicture({ ...params, type: type.type }, { lines, own, held, live });
  const { tree, resource } = picture;
  const text = param("q");
  const found = useMemo(() => tree && search(tree, text), [tree, text]);
  const marked = useMemo(() => (tree && pointed ? functionOf(tree, pointed) : -1), [tree, pointed]);
  const [focus, setFocus] = useState("");
  return (
    <section aria-label={words.title}>
      <header title={words.help}>
        <a class="types-title" href={props.hrefOf(type.type)}>
          {words.title}
        </a>
        <b>{words.value(picture.answer?.total ?? type.sum)}</b>
        {found && tree && (
          <span class="muted small">{ratio(tree.total ? found.sum / tree.total : 0)} found</span>
        )}
      </header>
      {tree ? (
        <Flame
          tree={tree}
          label={words.title}
          unit={words.value}
          search={found}
          focus={tree.find(focus)}
          onFocus={(n) => setFocus(tree.key(n))}
          onSandwich={(n) => props.onFunction(tree, n, type.type, true)}
          onSource={(n) => props.onFunction(tree, n, type.type, false)}
          onPoint={(n) => {
            const f = tree.functions[n];
            onPoint(f ? { name: f.name, file: f.file } : null);
          }}
          marked={marked}
          maxHeight={maxHeight}
          dim={resource.stale}
        />
      ) : resource.error ? (
        <ErrorState small error={resource.error} what={words.title} onRetry={resource.reload} />
      ) : (
        <Skeleton height={maxHeight ?? 320} shown={resource.slow} />
      )}
    </section>
  );
}

const functionOf = (t: FlameTree, p: Pointed): number =>
  t.functions.findIndex((f) => f.name === p.name && f.file === p.file);
