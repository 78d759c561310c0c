// A legend by @grafana/ui beside or below a drawing of our own.
import { VizLayout, VizLegend } from '@grafana/ui';

/** Lays out a drawing with its legend. `draw` gets the width and height that are left for it. */
export function WithLegend({ items, legend, width, height, draw }) {
  if (legend?.showLegend === false || items.length === 0) {
    return draw(width, height);
  }
  // VizLayout reads the placement off this very element, so it may not be wrapped.
  const element = (
    <VizLayout.Legend placement={legend.placement} width={legend.width}>
      <VizLegend displayMode={legend.displayMode} items={items} placement={legend.placement} readonly />
    </VizLayout.Legend>
  );
  return (
    <VizLayout width={width} height={height} legend={element}>
      {draw}
    </VizLayout>
  );
}
