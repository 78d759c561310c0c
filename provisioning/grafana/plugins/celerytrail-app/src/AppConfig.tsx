import React from 'react';
import { type AppPluginMeta, type PluginConfigPageProps } from '@grafana/data';
import { Alert, Stack, Text, TextLink } from '@grafana/ui';
import { pageAddress } from './paths';

/**
 * Says which settings the plugin needs, and whether they are there.
 *
 * Nothing can be changed here: the address of the action API is part of the plugin, so that nobody in
 * an organisation can lead the secret and the signed identities elsewhere, and the secret comes from a
 * provisioning file. Grafana never gives the secret to the browser, only whether it is set.
 */
export function AppConfig({ plugin }: PluginConfigPageProps<AppPluginMeta>) {
  const { enabled, secureJsonFields } = plugin.meta;
  const isSecretSet = secureJsonFields?.proxySecret === true;
  return (
    <Stack direction="column" gap={2}>
      {!enabled && (
        <Alert severity="warning" title="The plugin is not enabled in this organisation">
          Buttons and pages do not reach the action API until it is.
        </Alert>
      )}
      {isSecretSet ? (
        <Alert severity="success" title="The proxy secret is set">
          The action API must know the same secret for this organisation.
        </Alert>
      ) : (
        <Alert severity="error" title="The proxy secret is not set">
          The action API refuses every request. Set secureJsonData.proxySecret of this app in a provisioning file.
        </Alert>
      )}
      <Text element="h3">What else has to fit</Text>
      <ul>
        <li>
          <code>[security] actions_allow_post_url</code> of Grafana names{' '}
          <code>/api/plugin-proxy/celerytrail-app/*</code>, or the buttons of the dashboards get status 405.
        </li>
        <li>
          <code>[server] root_url</code> of Grafana is, letter by letter, the <code>issuer</code> in the configuration
          file of the action API.
        </li>
        <li>
          The configuration file of the action API gives this organisation a right for each deployment. Without one,
          everything is refused.
        </li>
      </ul>
      <TextLink href={pageAddress('')} inline={false}>
        What the plugin does
      </TextLink>
    </Stack>
  );
}
