/** CodeMirror with PromQL: loaded only with the first field that is shown (see promeditor.tsx). */
import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  completionStatus,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, forceParsing, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, linter } from "@codemirror/lint";
import { EditorState, Prec, StateEffect, StateField } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import type { Mark } from "./promeditor";

export interface EditorHandle {
  setValue(text: string): void;
  setMarks(marks: readonly Mark[]): void;
  focus(): void;
  destroy(): void;
}

export interface EditorOptions {
  value: string;
  label: string;
  placeholder: string;
  onInput: (text: string) => void;
  onRun: () => void;
}

const colors = HighlightStyle.define([
  { tag: [tags.variableName, tags.name], color: "var(--text)" },
  { tag: [tags.function(tags.variableName), tags.keyword, tags.modifier], color: "var(--accent)" },
  { tag: tags.operator, color: "var(--muted)" },
  { tag: tags.labelName, color: "var(--info)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: [tags.number, tags.bool], color: "var(--warn)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: [tags.paren, tags.brace, tags.squareBracket, tags.separator], color: "var(--muted)" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "transparent", color: "var(--text)", fontSize: "12px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px", overflowX: "auto" },
  ".cm-content": { padding: "5px 0", caretColor: "var(--text)" },
  ".cm-line": { padding: "0 8px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 22%, transparent)",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--selected)", outline: "none" },
  ".cm-lintRange-error": { textDecoration: "underline wavy var(--bad)", backgroundImage: "none" },
  ".cm-lintRange-warning": { textDecoration: "underline wavy var(--warn)", backgroundImage: "none" },
  ".cm-lintRange-info": { textDecoration: "underline dotted var(--info)", backgroundImage: "none" },
  ".cm-tooltip": {
    border: "1px solid var(--line)",
    borderRadius: "var(--radius)",
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    boxShadow: "var(--float)",
    zIndex: "40",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": {
    fontFamily: "var(--mono)",
    fontSize: "12px",
    maxHeight: "260px",
    maxWidth: "min(640px, 92vw)",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "2px 8px", lineHeight: "20px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    backgroundColor: "var(--selected)",
    color: "var(--text)",
  },
  ".cm-completionMatchedText": { color: "var(--accent)", textDecoration: "none", fontWeight: "600" },
  ".cm-completionDetail": { color: "var(--muted)", fontStyle: "normal", marginLeft: "12px" },
  ".cm-completionInfo": { padding: "6px 10px", maxWidth: "300px", fontSize: "12px", color: "var(--muted)" },
  ".cm-completionIcon": { display: "none" },
  ".cm-diagnostic": { borderLeft: "0", padding: "4px 10px", maxWidth: "420px" },
});

const setMarks = StateEffect.define<readonly Mark[]>();
/** What the server said of the text; gone with the next change of it. */
const marked = StateField.define<readonly Mark[]>({
  create: () => [],
  update: (marks, change) => {
    for (const e of change.effects) if (e.is(setMarks)) return e.value;
    return change.docChanged ? [] : marks;
  },
});
/** Most time that one text is parsed at once. */
const PARSE_MS = 200;
const severity = { bad: "error", warn: "warning", info: "info" } as const;

function serverMarks(view: EditorView): Diagnostic[] {
  const end = view.state.doc.length;
  return view.state.field(marked).map((m) => ({
    from: Math.min(m.at, Math.max(0, end - 1)),
    to: Math.min(m.at + m.length, end),
    severity: severity[m.tone],
    message: m.text,
  }));
}

/** One extension for all fields: its cache of names and labels is shared. */
let promql: PromQLExtension | undefined;

export function createEditor(parent: HTMLElement, options: EditorOptions): EditorHandle {
  promql ??= new PromQLExtension().setComplete({
    remote: { url: "/prometheus", lookbackInterval: 3600_000, httpErrorHandler: () => {} },
  });
  let quiet = false;
  const run = () => {
    options.onRun();
    return true;
  };
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: options.value,
      extensions: [
        marked,
        history(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ activateOnTyping: true, icons: false, maxRenderedOptions: 80 }),
        syntaxHighlighting(colors),
        look,
        promql.asExtension(),
        linter(serverMarks, {
          delay: 60,
          needsRefresh: (u) => u.startState.field(marked) !== u.state.field(marked),
        }),
        EditorView.lineWrapping,
        placeholder(options.placeholder),
        EditorView.contentAttributes.of({ "aria-label": options.label, spellcheck: "false" }),
        Prec.highest(
          keymap.of([
            // With the list of completions open, Enter and Tab take one; else Enter asks.
            {
              key: "Enter",
              run: (v) => (completionStatus(v.state) === "active" ? acceptCompletion(v) : run()),
            },
            { key: "Tab", run: (v) => completionStatus(v.state) === "active" && acceptCompletion(v) },
            { key: "Mod-Enter", run },
            { key: "Shift-Enter", run: insertNewlineAndIndent },
          ]),
        ),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
        EditorView.updateListener.of((u) => {
          if (u.docChanged && !quiet) options.onInput(u.state.doc.toString());
        }),
      ],
    }),
  });
  // The check while typing reads the tree as it is: half a tree would be told as a mistake.
  const parse = () => forceParsing(view, view.state.doc.length, PARSE_MS);
  parse();
  return {
    setValue(text) {
      const now = view.state.doc.toString();
      if (text === now) return;
      quiet = true;
      view.dispatch({ changes: { from: 0, to: now.length, insert: text } });
      parse();
      quiet = false;
    },
    setMarks(marks) {
      if (marks.length || view.state.field(marked).length) view.dispatch({ effects: setMarks.of(marks) });
    },
    focus: () => {
      view.focus();
      view.dispatch({ selection: { anchor: view.state.doc.length } });
    },
    destroy: () => view.destroy(),
  };
}
