// h5web as its own site runs it, on the file that ?file= names.
import React from "react";
import { createRoot } from "react-dom/client";
import { App } from "@h5web/app";
import { H5WasmBufferProvider } from "@h5web/h5wasm";
import "@h5web/app/styles.css";

const name = new URLSearchParams(location.search).get("file");
const buffer = await (await fetch(name)).arrayBuffer();
createRoot(document.getElementById("root")).render(
  <div style={{ height: "95vh" }}>
    <H5WasmBufferProvider filename={name} buffer={buffer}>
      <App />
    </H5WasmBufferProvider>
  </div>,
);
