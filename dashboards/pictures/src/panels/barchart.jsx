// Bars by category: the first column of text names them, every column of numbers is a series.
import { FieldType, formattedValueToString, getFieldDisplayName } from '@grafana/data';
import { WithLegend } from './legend';
import { fitted, widthOf } from './measure';
import { numberTicks } from './ticks';

const FONT = 12;
const AXIS = 24;

function layout(options, categories, fields) {
  const stacked = options.stacking === 'normal' || options.stacking === 'percent';
  const totals = categories.map((_, row) => fields.reduce((sum, { values }) => sum + (values[row] ?? 0), 0));
  const bars = [];
  categories.forEach((_, row) => {
    let below = 0;
    fields.forEach((field, index) => {
      const number = field.values[row] ?? 0;
      const value = options.stacking === 'percent' ? (100 * number) / (totals[row] || 1) : number;
      const from = stacked ? below : 0;
      below += stacked ? value : 0;
      bars.push({ row, index, from, to: from + value, text: formattedValueToString(field.display(number)), field, number });
    });
  });
  return { bars, stacked };
}

export function BarChart({ series, options, theme, width, height, none }) {
  const [frame] = series;
  const names =
    frame.fields.find((field) => options.xField && getFieldDisplayName(field, frame) === options.xField) ??
    frame.fields.find(({ type }) => type === FieldType.string || type === FieldType.time);
  const fields = frame.fields.filter(
    (field) => field.type === FieldType.number && field !== names && !field.config.custom?.hideFrom?.viz
  );
  if (!names || fields.length === 0) {
    return none;
  }
  const shown = (field, value) => formattedValueToString(field.display(value));
  const categories = names.values.map((value) => shown(names, value));
  const { bars, stacked } = layout(options, categories, fields);
  const colorOf = ({ field, number }) => field.display(number).color;
  const items = fields.map((field) => ({
    label: getFieldDisplayName(field, frame, series),
    color: field.display(field.values.at(-1)).color,
    yAxis: 1,
  }));
  const across = options.orientation === 'horizontal';
  const most = fields[0].config.max ?? Math.max(...bars.map(({ to }) => to), 0);
  const opacity = (fields[0].config.custom?.fillOpacity ?? 80) / 100;
  const draw = (w, h) => {
    const longest = Math.max(...(across ? categories : [shown(fields[0], most)]).map((text) => widthOf(text, FONT)));
    const left = Math.min(longest + 12, w * 0.4);
    // Room for the number at the end of the longest bar.
    const right = across ? Math.max(...bars.map(({ text }) => widthOf(text, FONT))) + 8 : 4;
    const length = across ? w - left - right : h - AXIS - FONT - 4;
    const band = (across ? h - AXIS : w - left - right) / categories.length;
    const group = band * (options.groupWidth ?? 0.7);
    const thick = stacked ? group : group / fields.length;
    const along = (value) => (value / (most || 1)) * length;
    const base = h - AXIS;
    const ticks = numberTicks(0, most, length / 60);
    const secondary = { fill: theme.colors.text.secondary, fontSize: FONT };
    return (
      <svg width={w} height={h} style={{ display: 'block' }} fontFamily={theme.typography.fontFamily}>
        {ticks.map((value) => {
          const at = across ? left + along(value) : base - along(value);
          const line = across ? { x1: at, x2: at, y1: 0, y2: base } : { x1: left, x2: w, y1: at, y2: at };
          const text = across ? { x: at, y: h - 6, textAnchor: 'middle' } : { x: left - 6, y: at + 4, textAnchor: 'end' };
          return (
            <g key={value}>
              <line {...line} stroke={theme.colors.border.weak} />
              <text {...text} {...secondary}>
                {shown(fields[0], value)}
              </text>
            </g>
          );
        })}
        {categories.map((name, row) => {
          const middle = (row + 0.5) * band;
          const place = across
            ? { x: left - 6, y: middle, textAnchor: 'end', dominantBaseline: 'central' }
            : { x: left + middle, y: h - 6, textAnchor: 'middle' };
          return (
            <text key={row} {...place} fontSize={FONT} fill={theme.colors.text.primary}>
              {fitted(name, FONT, across ? left - 6 : band - 4)}
            </text>
          );
        })}
        {bars.map((bar) => {
          const offset = bar.row * band + (band - group) / 2 + (stacked ? 0 : bar.index * thick);
          const size = Math.max(along(bar.to - bar.from), 0);
          const box = across
            ? { x: left + along(bar.from), y: offset, width: size, height: thick - 1 }
            : { x: left + offset, y: base - along(bar.to), width: thick - 1, height: size };
          const text = across
            ? { x: left + along(bar.to) + 4, y: offset + thick / 2, dominantBaseline: 'central' }
            : { x: left + offset + thick / 2, y: base - along(bar.to) - 4, textAnchor: 'middle' };
          const room = across ? thick >= FONT : widthOf(bar.text, FONT) <= thick;
          return (
            <g key={`${bar.row}/${bar.index}`}>
              <rect {...box} fill={colorOf(bar)} fillOpacity={opacity} />
              {options.showValue !== 'never' && !stacked && room && (
                <text {...text} fill={theme.colors.text.primary} fontSize={FONT}>
                  {bar.text}
                </text>
              )}
            </g>
          );
        })}
      </svg>
    );
  };
  return <WithLegend {...{ items, width, height, draw }} legend={options.legend} />;
}
