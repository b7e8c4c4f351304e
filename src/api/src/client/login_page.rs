//! `GET /_matrix/static/client/login/`
//!
//! Section: [Login Fallback](https://spec.matrix.org/v1.16/client-server-api/#login-fallback).
//!
//! A page with which clients sign in that know no login type of this server. It asks `POST /login` itself and gives the answer to the
//! client's `window.matrixLogin.onLogin`.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{Method, header};

use crate::routes::Routes;

/// Its SHA-256 stands in [`CONTENT_SECURITY_POLICY`].
const SCRIPT: &str = r#""use strict";
const form = document.getElementById("form"), said = document.getElementById("said");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = {
    type: "m.login.password",
    identifier: { type: "m.id.user", user: form.elements.user.value.trim() },
    password: form.elements.password.value,
  };
  const asked = new URLSearchParams(location.search);
  for (const name of ["device_id", "initial_device_display_name"]) {
    if (asked.has(name)) { body[name] = asked.get(name); }
  }
  if (asked.get("refresh_token") === "true") { body.refresh_token = true; }
  form.elements.button.disabled = true;
  said.textContent = "";
  try {
    const response = await fetch("/_matrix/client/v3/login", { method: "POST", body: JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) { throw new Error(answer.error); }
    form.hidden = true;
    said.textContent = "You are signed in. You can go back to your app now.";
    if (window.matrixLogin && window.matrixLogin.onLogin) { window.matrixLogin.onLogin(answer); }
  } catch (error) {
    said.textContent = error.message || "The server cannot be reached. Please try again.";
    form.elements.button.disabled = false;
  }
});
"#;

/// Its SHA-256 stands in [`CONTENT_SECURITY_POLICY`].
const STYLE: &str = "body{font:1.125rem/1.5 system-ui,sans-serif;max-width:30rem;margin:0 auto;padding:1.5rem;color:#1b1b1b;background:#fff}label,input,button{display:block;font:inherit}input{width:100%;box-sizing:border-box;padding:.5rem;border:2px solid #1b1b1b;border-radius:.25rem;margin:.25rem 0 1rem}button{padding:.5rem 1.5rem;border:0;border-radius:.25rem;color:#fff;background:#005ea5;cursor:pointer}:focus-visible{outline:3px solid #ffbf47;outline-offset:2px}";

/// Nothing from elsewhere, no script but the one above, which reaches this server alone; in nobody's frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    script-src 'sha256-fe3kcMq4D5h/nIcxuIUQGWkjzJfnNIN+3YvKOrt3dVg='; \
    style-src 'sha256-xpR3CCUevwlgSEet5cYao04GSusEqZK4oKDsPkBKAXs='; \
    connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const FORM: &str = r#"<form id="form">
<label for="user">User name</label>
<input id="user" name="user" type="text" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button id="button" name="button" type="submit">Sign in</button>
</form>
<p id="said" role="alert"></p>
<noscript><p>This page needs JavaScript.</p></noscript>"#;

/// Adds the page to `routes`.
pub(super) fn routes(routes: Routes) -> Routes {
    const PATHS: [&str; 2] = ["/_matrix/static/client/login/", "/_matrix/static/client/login"];
    routes.page(&Method::GET, &PATHS, &login_page)
}

async fn login_page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Sign in</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Sign in</h1>\n{FORM}\n</main>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    (headers, Body::from(page)).into_response()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_names_the_script_and_the_style() {
        for (directive, text) in [("script-src", SCRIPT), ("style-src", STYLE)] {
            let expected = format!("{directive} 'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
            assert!(CONTENT_SECURITY_POLICY.contains(&expected), "{expected}");
        }
    }
}
