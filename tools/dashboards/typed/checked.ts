import type { AnnotationQuery, Dashboard, GraphFieldConfig, Panel } from '@grafana/schema';

// JSON holds the values of enumerations as texts.
type AsJSON<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: AsJSON<T[K]> } : T;

// What the data source of Prometheus adds to an annotation; the schema knows the part of all data sources alone.
type Annotation = AnnotationQuery & { expr: string; titleFormat: string };

// The schema leaves open what is drawn; for the kind of panel used here it is a type of its own.
type Drawn = Omit<Panel, 'fieldConfig'> & {
  fieldConfig: Omit<NonNullable<Panel['fieldConfig']>, 'defaults'> & {
    defaults: Omit<NonNullable<Panel['fieldConfig']>['defaults'], 'custom'> & { custom?: GraphFieldConfig };
  };
};

export type Checked = AsJSON<
  Omit<Dashboard, 'annotations' | 'panels'> & { annotations: { list: Annotation[] }; panels: Drawn[] }
>;
