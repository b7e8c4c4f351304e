//! The pages themselves.

use http::StatusCode;
use wardstead_identity::{Asked, Policy, Purpose, Stage};

/// Tells the client that the stage is done, in the words of the specification. Its SHA-256 stands in
/// [`CONTENT_SECURITY_POLICY`].
const DONE_SCRIPT: &str = r#"if (window.onAuthDone) { window.onAuthDone(); } else if (window.opener && window.opener.postMessage) { window.opener.postMessage("authDone", "*"); }"#;

/// Its SHA-256 stands in [`CONTENT_SECURITY_POLICY`].
const STYLE: &str = "body{font:1.125rem/1.5 system-ui,sans-serif;max-width:30rem;margin:0 auto;padding:1.5rem;color:#1b1b1b;background:#fff}label,input,button{display:block;font:inherit}input[type=password],input[type=text]{width:100%;box-sizing:border-box;padding:.5rem;border:2px solid #1b1b1b;border-radius:.25rem;margin:.25rem 0 1rem}button{padding:.5rem 1.5rem;border:0;border-radius:.25rem;color:#fff;background:#005ea5;cursor:pointer}:focus-visible{outline:3px solid #ffbf47;outline-offset:2px}[role=alert]{border-left:.375rem solid #b10e1e;padding-left:.75rem}";

/// Nothing from elsewhere, no script but the one above, in nobody's frame.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    script-src 'sha256-bWKz1RLHq0zPvxxxiHFG6EUpgCwLKJ6/pXtp9Y2YywY='; \
    style-src 'sha256-sg8r08QklUCd8C7+2bxCAaMuVN5H/Mv3zi7jCCJZuZo='; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page that asks for a stage, or tells that it is done.
pub(super) fn of(asked: &Asked, session: &str) -> String {
    if asked.completed {
        return page("Done", &format!("<p>You can go back to your app now.</p>\n<script>{DONE_SCRIPT}</script>"));
    }
    let mut body = String::new();
    if let Some(failure) = asked.failure {
        push(&mut body, format_args!("<p role=\"alert\">{}.</p>\n", failure.message()));
    }
    push(&mut body, format_args!("<p>{}</p>\n", purpose(asked)));
    push(
        &mut body,
        format_args!(
            "<form method=\"post\" action=\"?\">\n<input type=\"hidden\" name=\"session\" value=\"{}\">\n",
            escaped(session)
        ),
    );
    let button = match asked.stage {
        Stage::Password => {
            if let Some(user_id) = &asked.user_id {
                // For password managers.
                push(
                    &mut body,
                    format_args!(
                        "<input type=\"hidden\" name=\"username\" autocomplete=\"username\" value=\"{}\">\n",
                        escaped(user_id.as_str())
                    ),
                );
            }
            body.push_str(
                "<label for=\"entered\">Your password</label>\n<input id=\"entered\" name=\"entered\" type=\"password\" \
                 autocomplete=\"current-password\" required autofocus>\n",
            );
            "Confirm"
        }
        Stage::RegistrationToken => {
            body.push_str(
                "<label for=\"entered\">Registration token</label>\n<input id=\"entered\" name=\"entered\" type=\"text\" \
                 autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\" required autofocus>\n",
            );
            "Continue"
        }
        Stage::Terms => {
            policies(&mut body, &asked.policies);
            "I agree"
        }
        Stage::Dummy => "Continue",
    };
    push(&mut body, format_args!("<button type=\"submit\">{button}</button>\n</form>"));
    page("Confirm that it is you", &body)
}

/// There is no such session, or no more.
pub(super) fn nothing_asked() -> String {
    page(
        "Nothing to confirm",
        "<p>This page has served its purpose or has expired. Please go back to your app and try again.</p>",
    )
}

/// What is shown instead of an error that was meant for a program.
pub(super) fn refused(status: StatusCode) -> String {
    let (title, sentence) = match status {
        StatusCode::TOO_MANY_REQUESTS => {
            ("Please wait", "There were too many attempts. Please wait a moment, then go back and try again.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("Too long", "What was entered is too long. Please go back and try again."),
        status if status.is_client_error() => {
            ("Not understood", "This could not be understood. Please go back to your app and try again.")
        }
        _ => ("Please try again", "The server cannot answer this now. Please go back and try again."),
    };
    page(title, &format!("<p role=\"alert\">{sentence}</p>"))
}

/// Too many people sign in at this moment.
pub(super) fn busy() -> String {
    page("Please try again", "<p>Too many people are signing in at this moment. Please go back and try again.</p>")
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n\
         </body>\n</html>\n"
    )
}

/// What is confirmed: whoever is lured here reads what they are about to do.
fn purpose(asked: &Asked) -> String {
    let who = asked.user_id.as_ref().map_or(String::new(), |user_id| escaped(user_id.as_str()));
    match asked.purpose {
        Purpose::Register => "An app wants to make an account for you on this server.".to_owned(),
        Purpose::ChangePassword => {
            format!("An app that is signed in as <strong>{who}</strong> wants to change the password of this account.")
        }
        Purpose::Deactivate => format!(
            "An app that is signed in as <strong>{who}</strong> wants to <strong>deactivate this account for ever</strong>."
        ),
        Purpose::DeleteDevices => {
            format!("An app that is signed in as <strong>{who}</strong> wants to sign out devices of this account.")
        }
        Purpose::MakeLoginToken => {
            format!(
                "An app that is signed in as <strong>{who}</strong> wants to sign in another device to this account."
            )
        }
        Purpose::SetCrossSigningKeys => format!(
            "An app that is signed in as <strong>{who}</strong> wants to <strong>replace the keys</strong> by which others know that it is you."
        ),
        _ => format!("An app that is signed in as <strong>{who}</strong> asks for your confirmation."),
    }
}

fn policies(body: &mut String, policies: &[Policy]) {
    body.push_str("<p>Please read these documents:</p>\n<ul>\n");
    for (language, translation) in policies.iter().flat_map(|policy| &policy.languages) {
        push(
            body,
            format_args!(
                "<li><a href=\"{}\" lang=\"{}\" target=\"_blank\" rel=\"noopener noreferrer\">{}</a></li>\n",
                escaped(&translation.url),
                escaped(language),
                escaped(&translation.name)
            ),
        );
    }
    body.push_str("</ul>\n");
}

fn push(body: &mut String, text: std::fmt::Arguments<'_>) {
    body.push_str(&text.to_string());
}

/// `text` as it may stand between tags and in quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_names_the_script_and_the_style() {
        for (directive, text) in [("script-src", DONE_SCRIPT), ("style-src", STYLE)] {
            let expected = format!("{directive} 'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
            assert!(CONTENT_SECURITY_POLICY.contains(&expected), "{expected}");
        }
    }

    #[test]
    fn what_others_wrote_is_text() {
        let asked = Asked {
            stage: Stage::Terms,
            purpose: Purpose::Register,
            user_id: None,
            policies: vec![Policy {
                id: "p".to_owned(),
                version: "1".to_owned(),
                languages: [(
                    "en".to_owned(),
                    wardstead_identity::Translation {
                        name: "<b>".to_owned(),
                        url: "https://example.org/?a=1&b=\"".to_owned(),
                    },
                )]
                .into(),
            }],
            completed: false,
            failure: None,
        };
        let page = of(&asked, "\"><script>");
        assert!(page.contains("&lt;b&gt;") && page.contains("a=1&amp;b=&quot;"), "{page}");
        assert!(!page.contains("<script>"), "{page}");
    }
}
