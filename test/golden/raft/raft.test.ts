import { testScripts } from "../../support/datadriven.ts";
import { RaftEnvironment } from "./environment.ts";

testScripts(new URL(".", import.meta.url), () => {
  const environment = new RaftEnvironment();
  return (command) => environment.run(command);
});
