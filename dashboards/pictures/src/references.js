// References to the row, field or value at hand: ${__data.fields.task_id}, ${__value.raw}.
// Variables of the dashboard have been put in before the page got the panel.
import { FieldType, formattedValueToString, getFieldDisplayName } from '@grafana/data';

const REFERENCE = /\$\{(__data|__value|__field|__series)((?:\.[^:{}.[\]]+|\[["']?[^\]]*?["']?\])*)(?::(\w+))?\}/g;
const STEP = /\.([^.[\]]+)|\[["']?([^\]]*?)["']?\]/g;

const encoded = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

function cell(field, rowIndex, what) {
  const value = rowIndex === undefined ? undefined : field.values[rowIndex];
  const shown = () => (field.display ? field.display(value) : { text: String(value ?? ''), numeric: Number(value) });
  if (what === 'text') {
    return formattedValueToString(shown());
  }
  return what === 'numeric' ? shown().numeric : value;
}

const NAMES = {
  __data(steps, { frame, rowIndex }) {
    if (steps[0] !== 'fields') {
      return steps[0] === 'refId' || steps[0] === 'name' ? frame[steps[0]] : undefined;
    }
    const wanted = steps[1];
    const field =
      frame.fields.find((one) => one.name === wanted || getFieldDisplayName(one, frame) === wanted) ??
      frame.fields[Number(wanted)];
    if (!field) {
      throw new Error(`no field ${wanted} among ${frame.fields.map((one) => one.name).join(', ')}`);
    }
    return cell(field, rowIndex, steps[2]);
  },
  __value([what = 'text'], { frame, field, rowIndex, calculatedValue }) {
    if (what === 'time') {
      return frame.fields.find((one) => one.type === FieldType.time)?.values[rowIndex];
    }
    if (calculatedValue) {
      return what === 'text' ? formattedValueToString(calculatedValue) : calculatedValue.numeric;
    }
    return cell(field, rowIndex, what);
  },
  __field(steps, { frame, field, data }) {
    if (steps[0] === 'labels') {
      return field.labels?.[steps[1]];
    }
    return steps[0] === 'displayName' ? getFieldDisplayName(field, frame, data) : field.name;
  },
  __series: (steps, { frame }) => frame.name,
};

/** Grafana's InterpolateFunction: what cannot be resolved here stays as it stands. */
export function resolve(text, scoped, format) {
  return String(text ?? '').replace(REFERENCE, (reference, name, path, ownFormat) => {
    const context = scoped?.__dataContext?.value ?? (scoped?.__field && { field: scoped.__field.value });
    if (!context) {
      return reference;
    }
    const steps = [...path.matchAll(STEP)].map((match) => match[1] ?? match[2]);
    const value = NAMES[name](steps, context) ?? '';
    const how = ownFormat ?? (typeof format === 'string' ? format : undefined);
    return how === 'percentencode' || how === 'queryparam' ? encoded(value) : String(value);
  });
}
