import { custom, Issuer } from 'openid-client-5'
import { answer } from './answer.mjs'

const mtls = ['tls_client_auth', 'self_signed_tls_client_auth']

await answer(async (task) => {
  const issuer = new Issuer({ issuer: task.issuer, revocation_endpoint: task.endpoint })
  const jwks = task.key && { keys: [{ ...task.key, alg: undefined }] }
  const client = new issuer.Client({
    client_id: task.client,
    client_secret: task.secret,
    token_endpoint_auth_method: task.method,
    token_endpoint_auth_signing_alg: task.alg,
  }, jwks)
  if (mtls.includes(task.method)) {
    client[custom.http_options] = () => ({ cert: task.certificate, key: task.certificateKey, ca: task.ca })
  }
  await client.revoke(task.token, task.hint)
})
