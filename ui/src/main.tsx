import "virtual:tokens.css";
import "./theme/base.css";
import { render } from "preact";
import { App } from "./app";
import { startKeys } from "./keys";
import { startRouter } from "./router";
import { startClock } from "./state";

startRouter();
startClock();
startKeys();
render(<App />, document.getElementById("app")!);
