//! The page around the body of every mail: small, and styled inside itself, since mail programs load nothing.

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { margin: 0; padding: 24px; background: #ffffff; color: #1c1d22; font: 15px/1.5 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
p { margin: 0 0 12px; }
hr { height: 1px; margin: 16px 0; border: 0; background: #dfe2e8; }
small { font-size: 13px; color: #5b606b; }
.hidden { display: none !important; }
.btn { display: inline-block; min-width: 120px; padding: 10px 20px; border-radius: 6px; background: #1c1d22; color: #ffffff !important; font-weight: 600; text-align: center; text-decoration: none; }
</style>
</head>
<body>
"#;
const FOOT: &str = "\n</body>\n</html>\n";

/// `body` as a whole page.
pub(super) fn page(body: &str) -> String {
    format!("{HEAD}{body}{FOOT}")
}
