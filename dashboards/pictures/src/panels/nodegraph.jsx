// Nodes and the edges between them, from two frames.
import { formattedValueToString } from '@grafana/data';
import { columnsOf } from './graph_layout';
import { fitted } from './measure';

const RADIUS = 40;
const LABELS = 38;
const COLUMN = 200;
const LINE = 2 * RADIUS + LABELS + 14;

const fieldsOf = (frame) => new Map(frame.fields.map((field) => [field.name.toLowerCase(), field]));

function framesOf(series) {
  const named = (name) => series.find((frame) => frame.refId === name || frame.name === name);
  const withField = (wanted, has) =>
    series.find((frame) => fieldsOf(frame).has(wanted) && fieldsOf(frame).has('source') === has);
  return { nodes: named('nodes') ?? withField('id', false), edges: named('edges') ?? withField('id', true) };
}

function rowsOf(frame) {
  const fields = fieldsOf(frame);
  const shown = (field, row) => {
    const value = field?.values[row];
    return value == null || value === '' ? '' : formattedValueToString(field.display(value));
  };
  return Array.from({ length: frame.length }, (_, row) => ({
    value: (name) => fields.get(name)?.values[row],
    text: (name) => shown(fields.get(name), row),
    id: String(fields.get('id').values[row]),
    arcs: [...fields]
      .filter(([name]) => name.startsWith('arc__'))
      .map(([, field]) => ({ share: field.values[row] ?? 0, color: field.display(field.values[row]).color })),
    color: fields.get('color'),
    row,
  }));
}

function colorOf({ color, row }, theme) {
  const value = color?.values[row];
  if (value == null || value === '') {
    return undefined;
  }
  return typeof value === 'number' ? color.display(value).color : theme.visualization.getColorByName(value);
}

const around = (share) => {
  const angle = 2 * Math.PI * share - Math.PI / 2;
  return `${RADIUS * Math.cos(angle)} ${RADIUS * Math.sin(angle)}`;
};

function Ring({ arcs, color }) {
  const shares = arcs.filter(({ share }) => share > 0);
  if (shares.length <= 1) {
    return <circle r={RADIUS} fill="none" stroke={shares[0]?.color ?? color} strokeWidth={4} />;
  }
  let before = 0;
  return shares.map(({ share, color: own }) => {
    const from = before;
    before += share;
    const path = `M ${around(from)} A ${RADIUS} ${RADIUS} 0 ${share > 0.5 ? 1 : 0} 1 ${around(before)}`;
    return <path key={from} d={path} fill="none" stroke={own} strokeWidth={4} />;
  });
}

function Node({ node, x, y, theme }) {
  const text = { textAnchor: 'middle', fontSize: 12 };
  return (
    <g transform={`translate(${x} ${y})`}>
      <circle r={RADIUS} fill={theme.colors.background.secondary} />
      <Ring arcs={node.arcs} color={colorOf(node, theme) ?? theme.colors.border.strong} />
      <text {...text} y={node.text('secondarystat') ? -3 : 4} fill={theme.colors.text.primary}>
        {fitted(node.text('mainstat'), 12, 2 * RADIUS - 10)}
      </text>
      <text {...text} y={13} fill={theme.colors.text.secondary}>
        {fitted(node.text('secondarystat'), 12, 2 * RADIUS - 10)}
      </text>
      <text {...text} y={RADIUS + 17} fill={theme.colors.text.primary} fontWeight={500}>
        {fitted(node.text('title'), 12, COLUMN - 10)}
      </text>
      <text {...text} y={RADIUS + 32} fill={theme.colors.text.secondary}>
        {fitted(node.text('subtitle'), 12, COLUMN - 10)}
      </text>
    </g>
  );
}

export function NodeGraph({ series, theme, width, height, none }) {
  const frames = framesOf(series);
  if (!frames.nodes || frames.nodes.length === 0) {
    return none;
  }
  const nodes = rowsOf(frames.nodes);
  const edges = (frames.edges?.fields.length ? rowsOf(frames.edges) : []).map((edge) => ({
    edge,
    source: String(edge.value('source')),
    target: String(edge.value('target')),
  }));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const { source, target, edge } of edges) {
    if (!byId.has(source) || !byId.has(target)) {
      throw new Error(`the edge ${edge.id} goes from ${source} to ${target}, and one of them is no node`);
    }
  }
  const columns = columnsOf(nodes, edges);
  const tallest = Math.max(...columns.map((ids) => ids.length)) * LINE;
  const places = new Map(
    columns.flatMap((ids, column) =>
      ids.map((id, row) => [id, { x: (column + 0.5) * COLUMN, y: ((row + 0.5) * tallest) / ids.length - LABELS / 2 }])
    )
  );
  const wide = columns.length * COLUMN;
  const scale = Math.min(1, width / wide, height / tallest);
  return (
    <svg width={width} height={height} style={{ display: 'block' }} fontFamily={theme.typography.fontFamily} data-nodes={nodes.length} data-edges={edges.length}>
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX={8} refY={4} markerWidth={8} markerHeight={8} orient="auto">
          <path d="M 0 0 L 8 4 L 0 8 Z" fill={theme.colors.text.disabled} />
        </marker>
      </defs>
      <g transform={`translate(${(width - wide * scale) / 2} ${(height - tallest * scale) / 2}) scale(${scale})`}>
        {edges.map(({ edge, source, target }) => {
          const a = places.get(source);
          const b = places.get(target);
          const distance = Math.hypot(b.x - a.x, b.y - a.y) || 1;
          const cut = (RADIUS + 4) / distance;
          const [dx, dy] = [(b.x - a.x) * cut, (b.y - a.y) * cut];
          return (
            <g key={edge.id}>
              <line x1={a.x + dx} y1={a.y + dy} x2={b.x - dx} y2={b.y - dy} markerEnd="url(#arrow)"
                stroke={colorOf(edge, theme) ?? theme.colors.text.disabled} strokeWidth={edge.value('thickness') ?? 1}
                strokeDasharray={edge.text('strokedasharray') || undefined} />
              <text x={(a.x + b.x) / 2} y={(a.y + b.y) / 2 - 5} textAnchor="middle" fontSize={11} fill={theme.colors.text.secondary}>
                {edge.text('mainstat')}
              </text>
            </g>
          );
        })}
        {nodes.map((node) => (
          <Node key={node.id} node={node} {...places.get(node.id)} theme={theme} />
        ))}
      </g>
    </svg>
  );
}
