// The transformation "Partition by values", which is not in @grafana/data: one frame for each set of
// values that some fields have together, in the order in which they first appear.
import { getFieldDisplayName } from '@grafana/data';
import { map } from 'rxjs';

const isNamed = (frame, names) => (field) => names.includes(field.name) || names.includes(getFieldDisplayName(field, frame));

function partition(frame, { fields: names = [], keepFields = false, naming = {} }) {
  const keys = frame.fields.filter(isNamed(frame, names));
  if (keys.length === 0) {
    return [frame];
  }
  const groups = new Map();
  for (let row = 0; row < frame.length; row++) {
    const values = keys.map((field) => field.values[row]);
    const group = groups.get(JSON.stringify(values)) ?? { values, rows: [] };
    group.rows.push(row);
    groups.set(JSON.stringify(values), group);
  }
  const kept = keepFields ? frame.fields : frame.fields.filter((field) => !keys.includes(field));
  return [...groups.values()].map(({ values, rows }) => {
    const own = Object.fromEntries(keys.map((field, index) => [field.name, String(values[index] ?? '')]));
    return {
      ...frame,
      name: naming.asLabels ? frame.name : values.join(' '),
      length: rows.length,
      fields: kept.map((field) => ({
        ...field,
        labels: naming.asLabels ? { ...field.labels, ...own } : field.labels,
        state: undefined,
        values: rows.map((row) => field.values[row]),
      })),
    };
  });
}

export const partitionByValues = {
  id: 'partitionByValues',
  name: 'Partition by values',
  defaultOptions: { fields: [] },
  operator: (options) => (source) => source.pipe(map((frames) => frames.flatMap((frame) => partition(frame, options)))),
};
