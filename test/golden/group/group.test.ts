import { testScripts } from "../../support/datadriven.ts";
import { GroupEnvironment } from "./environment.ts";

testScripts(new URL(".", import.meta.url), () => {
  const environment = new GroupEnvironment();
  return (command) => environment.run(command);
});
