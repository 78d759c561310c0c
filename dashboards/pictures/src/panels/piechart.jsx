// Shares of a whole.
import { formattedValueToString } from '@grafana/data';
import { WithLegend } from './legend';
import { valuesOf } from './values';

const point = (radius, share) => {
  const angle = 2 * Math.PI * share - Math.PI / 2;
  return `${radius * Math.cos(angle)} ${radius * Math.sin(angle)}`;
};

function slicePath(from, to, outer, inner) {
  // A whole circle has no arc of its own: its two ends would be one point.
  const end = to - from >= 1 ? from + 0.99999 : to;
  const large = end - from > 0.5 ? 1 : 0;
  const back = inner > 0 ? `L ${point(inner, end)} A ${inner} ${inner} 0 ${large} 0 ${point(inner, from)}` : 'L 0 0';
  return `M ${point(outer, from)} A ${outer} ${outer} 0 ${large} 1 ${point(outer, end)} ${back} Z`;
}

export function PieChart(panel) {
  const { options, width, height, none, theme } = panel;
  const values = valuesOf(panel).filter(({ display }) => display.numeric > 0);
  const sum = values.reduce((total, { display }) => total + display.numeric, 0);
  if (sum === 0) {
    return none;
  }
  const written = (display) => {
    const wanted = options.legend.values ?? [];
    const percent = `${Math.round((100 * display.numeric) / sum)}%`;
    return [wanted.includes('value') && formattedValueToString(display), wanted.includes('percent') && percent]
      .filter(Boolean)
      .join(' · ');
  };
  const items = values.map(({ display }) => ({
    label: [display.title, written(display)].filter(Boolean).join('  '),
    color: display.color,
    yAxis: 1,
  }));
  let before = 0;
  const slices = values.map(({ display }) => {
    const from = before;
    before += display.numeric / sum;
    return { from, to: before, color: display.color };
  });
  const draw = (w, h) => {
    const outer = Math.min(w, h) / 2 - 4;
    return (
      <svg width={w} height={h} style={{ display: 'block' }}>
        <g transform={`translate(${w / 2} ${h / 2})`}>
          {slices.map(({ from, to, color }) => (
            <path key={from} d={slicePath(from, to, outer, options.pieType === 'donut' ? outer / 2 : 0)} fill={color}
              stroke={theme.colors.background.primary} />
          ))}
        </g>
      </svg>
    );
  };
  return <WithLegend {...{ items, width, height, draw }} legend={options.legend} />;
}
