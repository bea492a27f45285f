import { testScripts } from "../../support/datadriven.ts";
import { GroupClientEnvironment } from "./environment.ts";

testScripts(new URL(".", import.meta.url), () => {
  const environment = new GroupClientEnvironment();
  return (command) => environment.run(command);
});
