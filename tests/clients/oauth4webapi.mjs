import * as oauth from 'oauth4webapi'
import { answer } from './answer.mjs'
import { signingKey } from './keys.mjs'

const authentications = {
  client_secret_basic: (task) => oauth.ClientSecretBasic(task.secret),
  client_secret_post: (task) => oauth.ClientSecretPost(task.secret),
  client_secret_jwt: (task) => oauth.ClientSecretJwt(task.secret),
  private_key_jwt: async (task) => oauth.PrivateKeyJwt({ key: await signingKey(task.key, task.alg), kid: task.key.kid }),
  none: () => oauth.None(),
}

await answer(async (task) => {
  const server = { issuer: task.issuer, revocation_endpoint: task.endpoint, ...task.metadata }
  const client = { client_id: task.client }
  const options = {
    [oauth.allowInsecureRequests]: true,
    additionalParameters: task.hint ? { token_type_hint: task.hint } : undefined,
    headers: task.headers,
  }
  const authentication = await authentications[task.method](task)
  const response = await oauth.revocationRequest(server, client, authentication, task.token, options)
  // For a server that answers 204, which the library would not take.
  if (task.status && response.status === task.status) return
  await oauth.processRevocationResponse(response)
})
