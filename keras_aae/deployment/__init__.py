"""From a trained model to what is served: TF Serving, LiteRT, a page for the browser."""
