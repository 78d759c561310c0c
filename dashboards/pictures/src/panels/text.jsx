// Markdown or HTML, by @grafana/data and @grafana/ui.
import { renderTextPanelMarkdown } from '@grafana/data';
import { RenderUserContentAsHTML } from '@grafana/ui';

export function Text({ options, width, height }) {
  const content = options.content ?? '';
  if (options.mode === 'code') {
    return <pre style={{ height, margin: 0, width }}>{content}</pre>;
  }
  return (
    <RenderUserContentAsHTML
      className="markdown-html"
      content={options.mode === 'html' ? content : renderTextPanelMarkdown(content)}
    />
  );
}
