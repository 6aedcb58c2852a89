// The control server: what a test reads and turns, apart from what it tests.

import { reply } from './api.mjs';
import { change, settings } from './settings.mjs';

/** Handles the requests of the control server. */
export function controlHandler(counts, api) {
  const routes = {
    'GET /counts': () => counts,
    'GET /settings': () => settings,
    'POST /settings': async (request) => {
      change(JSON.parse(await readText(request)));
      return settings;
    },
    'POST /api-nonce': () => ({ nonce: api.rotateNonce() }),
  };
  return async (request, response) => {
    const route = routes[`${request.method} ${request.url}`];
    if (!route) {
      return reply(response, 404, {}, { error: 'not_found' });
    }
    try {
      return reply(response, 200, {}, await route(request));
    } catch (error) {
      return reply(response, 400, {}, { error: error.message });
    }
  };
}

async function readText(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
  }
  return text;
}
