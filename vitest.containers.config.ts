import { defineConfig } from "vitest/config";

/** Tests of the image, which need docker; `npm test` needs Node alone. */
export default defineConfig({
  test: {
    include: ["test/containers/**/*.test.ts"],
    pool: "forks",
    // One composed cluster at a time: a machine of two cores is full of one.
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 600_000,
    reporters: ["default"],
  },
});
