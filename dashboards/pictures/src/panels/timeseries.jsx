// Lines over time, by @grafana/ui.
import { FieldType } from '@grafana/data';
import { TimeSeries } from '@grafana/ui';

const DRAWN = [FieldType.time, FieldType.number];

export function TimeSeriesPanel({ series, options, timeRange, timeZone, width, height, none }) {
  let index = 0;
  const frames = series
    .map((frame) => ({
      ...frame,
      fields: frame.fields
        .filter((field) => DRAWN.includes(field.type))
        .map((field) =>
          field.type === FieldType.time ? field : { ...field, state: { ...field.state, seriesIndex: index++ } }
        ),
    }))
    .filter(({ fields }) => DRAWN.every((type) => fields.some((field) => field.type === type)));
  if (frames.length === 0) {
    return none;
  }
  return (
    <TimeSeries
      frames={frames}
      legend={options.legend}
      options={options}
      structureRev={1}
      timeRange={timeRange}
      timeZone={timeZone}
      width={width}
      height={height}
    >
      {() => null}
    </TimeSeries>
  );
}
