// Transformations and field config by the real @grafana/data.
import {
  FieldConfigOptionsRegistry,
  applyFieldOverrides,
  cacheFieldDisplayNames,
  booleanOverrideProcessor,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  toDataFrame,
  transformDataFrame,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';
import { partitionByValues } from './partition';

const STANDARD = {
  displayName: displayNameOverrideProcessor,
  unit: unitOverrideProcessor,
  min: numberOverrideProcessor,
  max: numberOverrideProcessor,
  decimals: numberOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
  noValue: stringOverrideProcessor,
  description: stringOverrideProcessor,
  links: dataLinksOverrideProcessor,
  actions: dataLinksOverrideProcessor,
  color: identityOverrideProcessor,
  filterable: booleanOverrideProcessor,
  fieldMinMax: booleanOverrideProcessor,
};

const property = (id, process, path = id) => ({
  id,
  path,
  name: id,
  process,
  settings: id === 'displayName' ? { expandTemplateVars: true } : {},
  shouldApply: () => true,
  getItemsCount: () => 0,
  editor: () => null,
  override: () => null,
});
const standardProperties = () => Object.entries(STANDARD).map(([id, process]) => property(id, process));

export function registerStandards() {
  standardFieldConfigEditorRegistry.setInit(standardProperties);
  // One of them is listed twice, and a registry takes an id once.
  const listed = [...Object.values(standardTransformers), partitionByValues];
  const transformers = new Map(listed.map((one) => [one.id, one]));
  standardTransformersRegistry.setInit(() =>
    [...transformers.values()].map((one) => ({ ...one, transformation: () => one, editor: () => null }))
  );
}

// An override of a custom property that the registry does not hold would be passed over in silence,
// so it gets every one that this panel names.
function registryFor(fieldConfig) {
  const custom = new Set(Object.keys(fieldConfig.defaults.custom ?? {}));
  for (const override of fieldConfig.overrides) {
    for (const { id } of override.properties) {
      if (id.startsWith('custom.')) {
        custom.add(id.slice('custom.'.length));
      } else if (!(id in STANDARD)) {
        throw new Error(`the override ${id} is none of Grafana's`);
      }
    }
  }
  const registry = new FieldConfigOptionsRegistry();
  standardProperties().forEach((one) => registry.register(one));
  for (const path of [...custom].sort()) {
    registry.register({ ...property(`custom.${path}`, identityOverrideProcessor, path), isCustom: true });
  }
  return registry;
}

// In JSON the lowest threshold is null.
const fromBelow = (thresholds) =>
  thresholds && {
    ...thresholds,
    steps: thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity })),
  };

/** The frames after the transformations of a panel. Throws for one that is not in the package. */
export async function transformed(transformations, frames) {
  const active = (transformations ?? []).filter((one) => !one.disabled);
  for (const { id } of active) {
    if (!standardTransformersRegistry.getIfExists(id)) {
      throw new Error(`the transformation ${id} is not in @grafana/data`);
    }
  }
  const given = frames.map((frame) =>
    toDataFrame({ ...frame, fields: frame.fields.map((field) => ({ ...field, config: {} })) })
  );
  return firstValueFrom(transformDataFrame(active, given, { interpolate: (text) => text }));
}

/** The frames as a panel draws them: transformed, and each field with its config and display. */
export async function prepared({ panel, fieldConfig, frames, theme, timeZone, replaceVariables }) {
  const config = {
    defaults: { ...fieldConfig.defaults, thresholds: fromBelow(fieldConfig.defaults.thresholds) },
    overrides: fieldConfig.overrides.map((override) => ({
      ...override,
      properties: override.properties.map((one) =>
        one.id === 'thresholds' ? { ...one, value: fromBelow(one.value) } : one
      ),
    })),
  };
  const series = applyFieldOverrides({
    data: await transformed(panel.transformations, frames),
    fieldConfig: config,
    fieldConfigRegistry: registryFor(config),
    theme,
    timeZone,
    replaceVariables,
  });
  // Tables look their columns up by these names.
  cacheFieldDisplayNames(series);
  return { series, fieldConfig: config };
}
