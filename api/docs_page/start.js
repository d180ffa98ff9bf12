SwaggerUIBundle({
  url: "openapi.json", // beside this page, whatever path a proxy puts before both
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // by default the document is sent to a validator on the internet
});
