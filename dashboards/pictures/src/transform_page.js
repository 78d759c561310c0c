// A page for tests: what the real @grafana/data makes of frames.
import { registerStandards, transformed } from './fields';

registerStandards();

window.transformed = async (transformations, frames) =>
  (await transformed(transformations, frames)).map((frame) => ({
    name: frame.name ?? null,
    refId: frame.refId ?? null,
    length: frame.length,
    fields: frame.fields.map(({ name, type, labels, values }) => ({ name, type, labels: labels ?? null, values: [...values] })),
  }));
