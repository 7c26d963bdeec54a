// Field definitions in one line each: text("title", { required: true }).

const of =
  (type) =>
  (name, options = {}) => ({ type, name, ...options });

export const text = of("text");
export const number = of("number");
export const bool = of("bool");
export const email = of("email");
export const url = of("url");
export const editor = of("editor");
export const date = of("date");
export const autodate = of("autodate");
export const select = of("select");
export const file = of("file");
export const json = of("json");
export const password = of("password");
export const geoPoint = of("geoPoint");

/** A relation to a collection, given as the object that the server answered on its creation. */
export const relation = (name, target, options = {}) => ({
  type: "relation",
  name,
  collectionId: target.id,
  ...options,
});
