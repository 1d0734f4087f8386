// An authorization server, with the clients that it reads, as JSON, from the
// first line of its standard input. It prints its issuer as a line of JSON and
// ends with its input.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const lines = createInterface({ input: process.stdin })
const [line] = await once(lines, 'line')
const { clients } = JSON.parse(line)

const server = createServer().listen(0, '127.0.0.1')
await once(server, 'listening')
const issuer = `http://127.0.0.1:${server.address().port}`

// The resource urn:opaque has opaque access tokens, urn:jwt has JWTs.
const resourceServer = (resource) => ({
  scope: 'api',
  audience: resource,
  accessTokenFormat: resource.slice('urn:'.length),
  jwt: { sign: { alg: 'RS256' } },
})

const signIn = 'urn:example:sign-in'
const provider = new Provider(issuer, {
  clients: clients.map((client) => ({
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials', 'refresh_token', signIn],
    ...client,
  })),
  scopes: ['api', 'offline_access'],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => resourceServer(resource),
      useGrantedResource: () => true,
    },
  },
  // Access tokens say which session they are of.
  extraTokenClaims: (_, token) => (token.sid ? { sid: token.sid } : undefined),
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
})

// What a user does in a browser, in one request: she signs in, consents, and the
// client has the tokens of a new session.
provider.registerGrantType(signIn, async (ctx) => {
  const { client, params } = ctx.oidc
  const resource = params.resource
  const session = new provider.Session({ accountId: params.username })
  await session.save(3600)
  const grant = new provider.Grant({ accountId: params.username, clientId: client.clientId })
  grant.addOIDCScope('offline_access')
  grant.addResourceScope(resource, 'api')
  const common = {
    accountId: params.username,
    client,
    grantId: await grant.save(),
    gty: signIn,
    scope: 'api',
    sid: session.uid,
    sessionUid: session.uid,
  }
  const access = new provider.AccessToken(common)
  access.resourceServer = new provider.ResourceServer(resource, resourceServer(resource))
  const refresh = new provider.RefreshToken({ ...common, scope: 'api offline_access', resource })
  ctx.body = {
    access_token: await access.save(),
    refresh_token: await refresh.save(),
    token_type: 'Bearer',
    expires_in: access.expiration,
  }
}, ['username', 'resource', 'scope'])

server.on('request', provider.callback())
console.log(JSON.stringify({ issuer }))
await once(lines, 'close')
process.exit()
