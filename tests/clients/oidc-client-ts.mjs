import { answer } from './answer.mjs'
import { page } from './browser.mjs'

await answer(async (task) => {
  const window = await page(task.origin, 'oidc-client-ts/dist/browser/oidc-client-ts.js')
  try {
    const users = new window.oidc.UserManager({
      authority: task.issuer,
      metadata: { revocation_endpoint: task.endpoint },
      client_id: task.client,
      client_secret: task.secret,
      redirect_uri: `${task.origin}/signed-in`,
      automaticSilentRenew: false,
    })
    await users.storeUser(new window.oidc.User({ access_token: task.token, token_type: 'Bearer', profile: {} }))
    await users.revokeTokens(['access_token'])
  } finally {
    await window.happyDOM.close()
  }
})
