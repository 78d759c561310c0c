// Bars of single values, by @grafana/ui.
import { getDisplayValueAlignmentFactors } from '@grafana/data';
import { BarGauge, VizRepeater } from '@grafana/ui';
import { valuesOf } from './values';

export function BarGaugePanel(panel) {
  const { options, theme, series, width, height } = panel;
  const spacing = options.displayMode === 'lcd' ? 2 : 10;
  const one = ({ value, alignmentFactors, orientation, count, width: ownWidth, height: ownHeight }) => (
    <BarGauge
      alignmentFactors={count > 1 ? alignmentFactors : undefined}
      display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
      displayMode={options.displayMode}
      field={value.field}
      isOverflow={false}
      itemSpacing={spacing}
      namePlacement={options.namePlacement}
      orientation={orientation}
      showUnfilled={options.showUnfilled}
      text={options.text}
      theme={theme}
      value={value.display}
      valueDisplayMode={options.valueMode}
      width={ownWidth}
      height={ownHeight}
    />
  );
  return (
    <VizRepeater
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      getValues={() => valuesOf(panel)}
      itemSpacing={spacing}
      maxVizHeight={options.maxVizHeight}
      minVizHeight={options.minVizHeight}
      minVizWidth={options.minVizWidth}
      orientation={options.orientation}
      renderCounter={0}
      renderValue={one}
      source={series}
      width={width}
      height={height}
    />
  );
}
