import { codecsSuite } from "../../conformance/codecs.suite.ts";
import { nativeCodecs } from "../../../src/adapters/native-codecs.ts";
codecsSuite("native", () => nativeCodecs);
