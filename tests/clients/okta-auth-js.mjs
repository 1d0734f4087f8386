import { answer } from './answer.mjs'
import { page } from './browser.mjs'

await answer(async (task) => {
  const window = await page(task.origin, '@okta/okta-auth-js/umd/default.js')
  try {
    const client = new window.OktaAuth.OktaAuth({
      issuer: task.issuer,
      revokeUrl: task.endpoint,
      clientId: task.client,
      clientSecret: task.secret,
      redirectUri: `${task.origin}/signed-in`,
    })
    const accessToken = { accessToken: task.token, tokenType: 'Bearer', claims: {}, scopes: [], expiresAt: 2 ** 40 }
    await client.revokeAccessToken(accessToken)
  } finally {
    await window.happyDOM.close()
  }
})
